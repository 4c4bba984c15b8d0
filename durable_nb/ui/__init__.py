"""What people look at.

render  values of the model -> text and HTML that need no running kernel
"""
