"""Other people's generators behind the command of ours: their weights draw the CT, the rest of the path is the same.

`files` tells what weights a folder holds, `networks` builds them, `masks` gives them organs and `drawn_masks` those
of their own `mask_model`, `sampling` draws, `checks` measures, `path` is the way from words to case folders.
docs/peers.md says what each does.
"""
