"""Writes images in which differences of resizing are visible: fine stripes and photographs, larger and smaller than a network's input.

    python pictures.py FOLDER
"""

import sys
from pathlib import Path

import numpy
from PIL import Image
from sklearn.datasets import load_sample_images


def stripes(period, angle, random):
    """Coloured stripes with noise, 97×131 pixels."""
    y, x = numpy.mgrid[:97, :131]
    wave = numpy.sign(numpy.sin(2 * numpy.pi * (x * numpy.cos(angle) + y * numpy.sin(angle)) / period))
    grey = 128 + 90 * wave + random.normal(0, 20, wave.shape)
    colours = numpy.stack([grey * (0.6 + 0.4 * random.random()) for _ in range(3)], -1)
    return Image.fromarray(colours.clip(0, 255).astype(numpy.uint8))


def main():
    folder, random = Path(sys.argv[1]), numpy.random.default_rng(0)
    for index, period in enumerate([2.8, 3, 3.3, 15, 17, 1000]):
        stripes(period, index, random).save(folder / f"stripes-{index}.png")
    for index, pixels in enumerate(load_sample_images().images):
        photograph = Image.fromarray(pixels)
        photograph.save(folder / f"photograph-{index}.png")
        for left, top, width, height in [(100, 50, 31, 24), (300, 100, 25, 40), (0, 0, 640, 9), (200, 200, 1, 7), (150, 9, 64, 64)]:
            part = photograph.crop((left, top, left + width, top + height))
            part.save(folder / f"part-{index}-{width}x{height}.png")
        # Stored on its side, with an EXIF orientation.
        exif = Image.Exif()
        exif[0x0112] = 6
        photograph.rotate(90, expand=True).save(folder / f"turned-{index}.jpg", exif=exif, quality=90)
        photograph.convert("L").resize((50, 80)).save(folder / f"grey-{index}.png")


main()
