"""What people look at.

render   values of the model -> text and HTML that need no running kernel
graph    the nodes and what they need of each other, as a picture
layered  boxes and arrows -> where they are drawn
"""
