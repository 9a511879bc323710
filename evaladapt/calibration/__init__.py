"""Calibration: what a trained model tells about its weights, on text that it writes itself or was trained on.

``text`` makes the text, ``moments`` reads off it what each weight's inputs look like (for GPTQ) and how much the loss
minds a change of it (for fitting a number of bytes). ``evaladapt pack`` and ``evaladapt bench quantise`` call
:func:`calibrate`. No evaluation text comes near it: a source is the model itself or a folder of training shards.
"""
