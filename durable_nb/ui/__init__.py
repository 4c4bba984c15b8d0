"""What people look at. Only `dashboard` needs a running kernel.

render       values of the model -> text and HTML
style        the palette, and a colour and a shape for every state
screen       the one screen: header, history, what going back would change
dashboard    the same as widgets, to steer by
card         what there is to say after a loss
node_line    how a node is going, and how it ended
differences  what differs between two checkpoints
graph        the nodes and what they need of each other, as a picture
layered      boxes and arrows -> where they are drawn
"""
