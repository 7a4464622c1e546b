#!/usr/bin/env python3
"""Writes the corpus of image files beside this script, with the pixels that Pillow reads from each.

    make.py        needs Pillow, numpy, and the programs cjpeg, jpegtran (libjpeg-turbo) and tiffcp (libtiff)

files/ contains the images. index.txt has a line for each: its name, and either the file in pixels/ with what Pillow shows,
upright (ImageOps.exif_transpose) and in RGB, or the kind of the refusal. One thing differs from Pillow: 16-bit grey is
scaled to 8 bits, while Pillow clips it. Each image stands for one kind of file; the test itself truncates them.
"""

import hashlib
import io
import shutil
import struct
import subprocess
import zlib
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

FILES = Path(__file__).resolve().parent / "files"
PIXELS = FILES.parent / "pixels"
REFUSED = {}
ORIENTATION = 0x0112


def picture(width=27, height=19):
    """Soft ramps with hard edges of colour, and a corner that tells every orientation from the others."""
    y, x = np.mgrid[:height, :width]
    pixels = np.stack([x * 255 // width, y * 255 // height, (x + y) * 255 // (width + height)], -1)
    pixels[height // 3 : 2 * height // 3, width // 2 :] = (230, 40, 60)
    pixels[: height // 4, : width // 5] = (250, 250, 10)
    return Image.fromarray(pixels.astype(np.uint8))


RGB = picture()
TRANSPARENT = RGB.convert("RGBA")
TRANSPARENT.putalpha(Image.linear_gradient("L").resize(RGB.size))
MIRRORED = ImageOps.mirror(RGB)
GREY16 = (np.arange(27 * 19).reshape(19, 27) * 127).astype(np.uint16)


def pixels_of(path):
    image = Image.open(path)
    image.load()
    image = ImageOps.exif_transpose(image)
    if image.mode.startswith("I;16"):
        wide = np.array(image).astype(np.uint32)
        image = Image.fromarray(((wide * 255 + 32767) // 65535).astype(np.uint8))
    return image.convert("RGB")


def put(name, data):
    (FILES / name).write_bytes(data)


def save(name, image, kind=None, **options):
    buffer = io.BytesIO()
    image.save(buffer, kind or Image.registered_extensions()[Path(name).suffix], **options)
    put(name, buffer.getvalue())
    return buffer.getvalue()


def refuse(kind, name, image, **options):
    REFUSED[name] = kind
    if isinstance(image, bytes):
        put(name, image)
    else:
        save(name, image, **options)


def exif(orientation, endian="<"):
    tag = Image.Exif()
    tag.endian = endian
    tag[ORIENTATION] = orientation
    return tag.tobytes()


def long_exif(orientation):
    """EXIF that states the orientation in 32 bits instead of 16."""
    return exif(orientation).replace(struct.pack("<HH", ORIENTATION, 3), struct.pack("<HH", ORIENTATION, 4))


def xmp(orientation):
    return f'<rdf:Description xmlns:tiff="http://ns.adobe.com/tiff/1.0/" tiff:Orientation="{orientation}"/>'.encode()


def raw_profile(orientation):
    """EXIF as ImageMagick writes it into a text chunk."""
    data = exif(orientation)
    return f"\nexif\n{len(data):8}\n{data.hex()}\n".encode()


def tool(*command, data=None):
    return subprocess.run([str(word) for word in command], input=data, capture_output=True, check=True).stdout


def ppm(image):
    buffer = io.BytesIO()
    image.save(buffer, "PPM")
    return buffer.getvalue()


def png_chunk(name, data):
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def png(width, height, bits, kind, rows):
    """A PNG file of a kind that Pillow does not write; rows are bytes."""
    header = struct.pack(">IIBBBBB", width, height, bits, kind, 0, 0, 0)
    pixels = zlib.compress(b"".join(b"\0" + row for row in rows))
    return b"\x89PNG\r\n\x1a\n" + png_chunk(b"IHDR", header) + png_chunk(b"IDAT", pixels) + png_chunk(b"IEND", b"")


def jpegs():
    for name, sampling in (("444", 0), ("422", 1), ("420", 2)):
        save(f"rgb-{name}.jpg", RGB, quality=90, subsampling=sampling)
        save(f"progressive-{name}.jpg", RGB, quality=90, subsampling=sampling, progressive=True)
    for width, height in ((1, 1), (3, 17), (16, 16), (65, 2)):
        save(f"size-{width}x{height}.jpg", picture(width, height), quality=80)
    save("grey.jpg", RGB.convert("L"), quality=90)
    save("grey-progressive.jpeg", RGB.convert("L"), quality=90, progressive=True)
    save("optimised.jpe", RGB, quality=50, optimize=True)
    restarts = save("restarts.JFIF", RGB, kind="JPEG", quality=90, restart_marker_blocks=1)
    save("restarts-progressive.jpg", RGB, quality=90, progressive=True, restart_marker_blocks=2)
    save("stored-as-rgb.jpg", RGB, quality=90, keep_rgb=True)
    for orientation in range(1, 9):
        endian = "<" if orientation % 2 else ">"
        save(f"orientation-{orientation}.jpg", RGB, quality=90, exif=exif(orientation, endian))
    save("orientation-none.jpg", RGB, quality=90, exif=exif(0))
    save("orientation-long.jpg", RGB, quality=90, exif=long_exif(6))
    save("orientation-xmp.jpg", RGB, quality=90, xmp=xmp(8))
    save("orientation-exif-and-xmp.jpg", RGB, quality=90, exif=exif(6), xmp=xmp(8))
    # CMYK as Adobe writes it, which is inverted; the same data marked as YCCK; and the same data without the marker.
    cmyk = save("cmyk.jpg", RGB.convert("CMYK"), quality=90)
    at = cmyk.index(b"Adobe")
    put("ycck.jpg", cmyk[: at + 11] + b"\2" + cmyk[at + 12 :])
    put("cmyk-unmarked.jpg", cmyk[: at - 4] + cmyk[at + 12 :])
    save("cmyk-progressive.jpg", RGB.convert("CMYK"), quality=90, progressive=True)
    source = ppm(RGB)
    for factors in ("1x2", "4x1", "2x2,1x1,2x1"):
        name = factors.replace(",", "-")
        put(f"sampling-{name}.jpg", tool("cjpeg", "-quality", "90", "-sample", factors, data=source))
    whole = (FILES / "rgb-420.jpg").read_bytes()
    scans = FILES / "scans.txt"
    scans.write_text("0;\n1;\n2;\n")
    put("a-scan-each-444.jpg", tool("jpegtran", "-scans", scans, data=(FILES / "rgb-444.jpg").read_bytes()))
    put("a-scan-each-420.jpg", tool("jpegtran", "-scans", scans, data=whole))
    scans.unlink()
    put("bytes-after-the-end.jpg", whole + b"more\xff\xd8\xff" + b"\0" * 40)
    put("fill-bytes.jpg", whole[:2] + b"\xff\xff\xff" + whole[2:])
    # As written by cameras and repair tools: an end marker after the existing data.
    refuse("damaged", "ended-early.jpg", whole[: len(whole) * 3 // 4] + b"\xff\xd9")
    progressive = (FILES / "progressive-420.jpg").read_bytes()
    last_scan = progressive.rindex(b"\xff\xda")
    refuse("damaged", "without-its-last-scan.jpg", progressive[:last_scan] + b"\xff\xd9")
    # As left by interrupted downloads.
    refuse("damaged", "zeros-for-its-end.jpg", whole[: len(whole) * 3 // 4] + b"\0" * (len(whole) // 4))
    first, second = restarts.index(b"\xff\xd0"), restarts.index(b"\xff\xd1")
    refuse("damaged", "without-a-middle-part.jpg", restarts[:first] + restarts[second:])
    refuse("unsupported", "arithmetic.jpg", tool("cjpeg", "-arithmetic", data=source))


def pngs():
    for mode in ("1", "L", "LA", "P", "RGB", "RGBA"):
        save(f"mode-{mode}.png", RGB.convert(mode))
    save("transparent.png", TRANSPARENT)
    save("transparent-grey.png", TRANSPARENT.convert("LA"))
    for bits in (1, 2, 4, 8):
        palette = RGB.quantize(2**bits)
        save(f"palette-{bits}.png", palette, bits=bits)
        save(f"palette-{bits}-transparent.png", palette, bits=bits, transparency=bytes([0, 128]))
    save("colour-key.png", RGB, transparency=(230, 40, 60))
    for bits in (2, 4):
        rows = np.array(RGB.convert("L").resize((24, 8))) >> (8 - bits)
        packed = [np.packbits(np.unpackbits(row[:, None], axis=1)[:, -bits:]).tobytes() for row in rows]
        put(f"grey-{bits}.png", png(24, 8, bits, 0, packed))
    save("grey-16.png", Image.fromarray(GREY16))
    wide = np.array(TRANSPARENT).astype(np.uint16) * 257
    wide[..., :3] ^= 85
    for kind, channels in ((2, [0, 1, 2]), (6, [0, 1, 2, 3]), (4, [0, 3])):
        rows = [row.astype(">u2").tobytes() for row in wide[..., channels]]
        put(f"16-bits-kind-{kind}.png", png(27, 19, 16, kind, rows))
    for orientation in (3, 6, 7):
        save(f"orientation-{orientation}.png", RGB, exif=exif(orientation))
    whole = (FILES / "mode-RGB.png").read_bytes()
    put("orientation-after-the-pixels.png", whole[:-12] + png_chunk(b"eXIf", exif(8)[6:]) + whole[-12:])
    for name, chunk in (
        ("header", png_chunk(b"eXIf", exif(6))),
        ("long", png_chunk(b"eXIf", long_exif(6)[6:])),
        ("xmp", png_chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + xmp(6))),
        ("xmp-compressed", png_chunk(b"iTXt", b"XML:com.adobe.xmp\0\1\0\0\0" + zlib.compress(xmp(6)))),
        ("profile", png_chunk(b"tEXt", b"Raw profile type exif\0" + raw_profile(6))),
        ("profile-compressed", png_chunk(b"zTXt", b"Raw profile type exif\0\0" + zlib.compress(raw_profile(6)))),
    ):
        put(f"orientation-{name}.png", whole[:33] + chunk + whole[33:])
    save("animated.png", RGB, save_all=True, append_images=[MIRRORED])
    put("a-png.jpg", whole)
    put("bytes-after-the-end.png", whole + b"more")
    # One byte of the pixels is changed.
    at = whole.index(b"IDAT") + 40
    refuse("damaged", "altered.png", whole[:at] + bytes([whole[at] ^ 16]) + whole[at + 1 :])


def others():
    for mode in ("1", "L", "P", "RGB", "RGBA"):
        save(f"mode-{mode}.bmp", RGB.convert(mode))
    save("rgb.DIB", RGB, kind="BMP")
    save("rgb.gif", RGB)
    save("grey.gif", RGB.convert("L"))
    save("interlaced.gif", RGB, interlace=True)
    save("not-interlaced.gif", RGB, interlace=False)
    save("transparent.gif", RGB.quantize(16), transparency=3)
    # The first frame covers only part of the image.
    small = save("small-frame.gif", RGB.quantize(16))
    put("small-frame.gif", small[:6] + struct.pack("<HH", 33, 25) + small[10:])
    data = save("animated.gif", RGB, save_all=True, append_images=[MIRRORED, RGB], duration=100, loop=0)
    put("bytes-after-the-end.gif", data + b"more")
    for name, options in (("lossy", {"quality": 80}), ("lossless", {"lossless": True})):
        save(f"{name}.webp", RGB, **options)
        save(f"{name}-transparent.webp", TRANSPARENT, exact=True, **options)
    save("grey.webp", RGB.convert("L"))
    save("one-colour.webp", Image.new("RGB", (40, 30), (9, 8, 7)), lossless=True)
    for orientation in (2, 5):
        save(f"orientation-{orientation}.webp", RGB, lossless=True, exif=exif(orientation))
    save("orientation-xmp.webp", RGB, lossless=True, xmp=xmp(6))
    save("animated.webp", RGB, save_all=True, append_images=[MIRRORED], lossless=True)


def tiffs():
    for mode in ("1", "L", "LA", "P", "PA", "RGB", "RGBA", "RGBX", "CMYK", "YCbCr"):
        save(f"mode-{mode}.tif", RGB.convert(mode))
    for compression in ("tiff_lzw", "tiff_adobe_deflate", "packbits"):
        for mode in ("L", "P", "RGB"):
            save(f"{compression}-{mode}.tiff", RGB.convert(mode), compression=compression)
    for mode in ("L", "RGB", "YCbCr", "CMYK"):
        save(f"jpeg-{mode}.tiff", RGB.convert(mode), compression="jpeg", quality=90)
    # The photometric interpretation, a 16-bit number: white is zero.
    grey = (FILES / "jpeg-L.tiff").read_bytes()
    entry = grey.index(struct.pack("<HHI", 262, 3, 1))
    put("jpeg-white-is-zero.tiff", grey[: entry + 8] + b"\0\0" + grey[entry + 10 :])
    # Grey with 6 bits.
    bits = (FILES / "mode-L.tif").read_bytes()
    entry = bits.index(struct.pack("<HHI", 258, 3, 1))
    refuse("unsupported", "grey-6.tif", bits[: entry + 8] + b"\6\0" + bits[entry + 10 :])
    save("group4.tif", RGB.convert("1"), compression="group4")
    save("grey-16.tif", Image.fromarray(GREY16))
    save("grey-16-big-endian.tif", Image.fromarray(GREY16.astype(">u2")))
    save("grey-16-lzw.tif", Image.fromarray(GREY16), compression="tiff_lzw")
    for orientation in range(1, 9):
        save(f"orientation-{orientation}.tif", RGB, tiffinfo={274: orientation}, compression="tiff_lzw")
    # Without the zeros that Pillow adds at the end, which may be missing.
    put("pages.tif", save("pages.tif", RGB, save_all=True, append_images=[MIRRORED]).rstrip(b"\0"))
    save("big.tif", RGB, big_tiff=True)
    save("transparent.tif", TRANSPARENT)
    save("premultiplied.tif", TRANSPARENT, tiffinfo={338: 1})
    out = FILES / "out"
    for name, source, *options in (
        ("tiles.tif", "mode-RGB.tif", "-t", "-w", "16", "-l", "16", "-c", "lzw"),
        ("planes.tif", "mode-RGB.tif", "-p", "separate", "-c", "lzw"),
        ("predictor.tif", "mode-RGB.tif", "-c", "lzw:2"),
        ("rows.tif", "mode-RGB.tif", "-r", "5", "-c", "zip"),
        ("reversed-bits.tif", "group4.tif", "-f", "lsb2msb", "-c", "g4"),
    ):
        tool("tiffcp", *options, FILES / source, out)
        put(name, out.read_bytes())
    out.unlink()
    REFUSED["reversed-bits.tif"] = "unsupported"
    for mode in ("I", "F", "LAB"):
        refuse("unsupported", f"mode-{mode}.tif", RGB.convert(mode))
    refuse("unsupported", "group3.tif", RGB.convert("1"), compression="group3")


def main():
    for folder in (FILES, PIXELS):
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
    jpegs()
    pngs()
    others()
    tiffs()
    refuse("not an image", "text.jpg", b"This is no image.\n")
    refuse("not an image", "empty.png", b"")
    refuse("unsupported", "heic.jpg", b"\0\0\0\x18ftypheic\0\0\0\0mif1heic")
    lines = []
    for path in sorted(FILES.iterdir()):
        found = REFUSED.get(path.name)
        if found is None:
            data = ppm(pixels_of(path))
            found = f"{hashlib.sha256(data).hexdigest()[:8]}.ppm"
            (PIXELS / found).write_bytes(data)
        lines.append(f"{path.name}: {found}\n")
    (FILES.parent / "index.txt").write_text("".join(lines))


if __name__ == "__main__":
    main()
