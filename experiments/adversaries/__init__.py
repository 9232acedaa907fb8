"""Two networks that train each other: a generator, and the discriminator that it must deceive."""
