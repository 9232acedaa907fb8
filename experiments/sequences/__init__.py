"""The five kinds of sequence task: their data and the models that read and write them."""
