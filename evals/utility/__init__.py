"""Does it help? Segmenters trained with and without synthetic volumes, tested on real patients."""
