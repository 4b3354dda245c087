"""Torso: chest and abdomen from few scans, in register with each other.

About twenty scans cannot train a network to compose. In register they show what a torso is: every scan is the mean
torso, deformed (as in synth.shape), with a look of its own. A plan draws a deformation, and which scans lend their look
to the body wall, the chest and the abdomen; `refine` draws the detail.
"""
