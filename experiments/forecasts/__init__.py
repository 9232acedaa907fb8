"""Forecasts one step ahead: windows of a series, scaled by its training part, and what learns from them."""
