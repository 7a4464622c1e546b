

def load(weights=None, device="cpu"):
    """The trained network, ready for evaluation; with the weights of another file, if one is given."""
    import safetensors.torch

    content = whole("weights.safetensors") if weights is None else Path(weights).read_bytes()
    network = Network()
    network.load_state_dict(safetensors.torch.load(content))
    return network.to(device).eval()


def preprocess(image):
    """What the network sees of a Pillow image, as in its evaluation: channels × rows × columns.

    STEPS
    """
    from PIL import ImageOps

    image = ImageOps.exif_transpose(image)
    if image.mode.startswith("I"):
        # 16 bits, which Pillow would clip at 255. Adding 0.5 rounds, because fractions are dropped.
        image = image.convert("I").point(lambda value: value * (1 / 257) + 0.5).convert("L")
    if PREPROCESSING["channels"] == 1:
        # The weights of sRGB; Pillow's own are those of an older standard.
        image = image if image.mode == "L" else image.convert("RGB").convert("L", (0.2126, 0.7152, 0.0722, 0))
    else:
        image = image.convert("RGB")
    shorter = min(image.size)
    side = min(max(int(shorter * PREPROCESSING["centre_crop"] + 0.5), 1), shorter)
    left, top = (image.width - side) // 2, (image.height - side) // 2
    size = PREPROCESSING["image_size"]
    image = image.crop((left, top, left + side, top + side))
    pixels = torch.frombuffer(bytearray(image.tobytes()), dtype=torch.uint8)
    pixels = pixels.reshape(1, side, side, PREPROCESSING["channels"]).permute(0, 3, 1, 2).float()
    # Pillow's own filter would round twice.
    pixels = F.interpolate(pixels, (size, size), mode="bilinear", antialias=True)[0]
    pixels = (pixels + 0.5).floor() / 255
    mean, std = (torch.tensor(PREPROCESSING[key])[:, None, None] for key in ("mean", "std"))
    return (pixels - mean) / std
