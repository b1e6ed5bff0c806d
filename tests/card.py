#!/usr/bin/env python3
"""The site's social card (nbs/images/card.jpg) and favicon (nbs/images/favicon.png). Run it when the default model or the title changes.

The card shows one crop of `chelsea` (Stefan van der Walt, CC0): made small, enlarged by bicubic interpolation, enlarged by light-x4.
"""
from pathlib import Path
from PIL import Image, ImageDraw, ImageFont

ROOT = Path(__file__).resolve().parent.parent
WIDTH, HEIGHT, PANEL = 1200, 630, 400                   # what the networks that show cards ask for

def font(size):
    from matplotlib import font_manager
    return ImageFont.truetype(font_manager.findfont('DejaVu Sans'), size)

def panels(scale=4, side=100):
    "The crop in three ways, each `side` pixels wide in the original."
    from srgan_course.data import sample_photos
    from srgan_course.images import downscale, interpolate
    from srgan_course.upscale import Upscaler
    photo = sample_photos('valid')['chelsea']
    photo = photo.crop((0, 0, photo.width//scale*scale, photo.height//scale*scale))
    box, small = (124, 72, 124 + side, 72 + side), downscale(photo, scale)
    ways = dict(pixels=interpolate(small, scale, 'nearest'), interpolated=interpolate(small, scale, 'bicubic'),
                network=Upscaler.load('light-x4')(small))
    return {k: im.crop(box) for k, im in ways.items()}

def card():
    sheet = Image.new('RGB', (WIDTH, HEIGHT), '#222222')
    draw = ImageDraw.Draw(sheet)
    for i, (name, im) in enumerate(panels().items()):
        sheet.paste(im.resize((PANEL, PANEL), Image.NEAREST if name == 'pixels' else Image.BICUBIC), (i*PANEL, 0))
        draw.text((i*PANEL + 16, PANEL - 14), {'pixels': 'small', 'interpolated': 'interpolated', 'network': 'enlarged by a network'}[name],
                  fill='white', font=font(26), anchor='ls', stroke_width=2, stroke_fill='black')
    draw.text((40, PANEL + 70), 'srgan_course', fill='white', font=font(64), anchor='lm')
    draw.text((40, PANEL + 150), 'Super-resolution GANs, from the first pixel to a model of your own', fill='#cccccc', font=font(31),
              anchor='lm')
    return sheet

def favicon(side=64, big=512):
    "A disc, coarse pixels on the left and sharp on the right."
    disc = Image.new('RGB', (big, big), '#2780e3')
    ImageDraw.Draw(disc).ellipse([big*.12, big*.12, big*.88, big*.88], fill='white')
    sharp = disc.resize((side, side), Image.LANCZOS)
    sharp.paste(disc.resize((8, 8), Image.BOX).resize((side, side), Image.NEAREST).crop((0, 0, side//2, side)), (0, 0))
    return sharp

if __name__ == '__main__':
    card().save(ROOT/'nbs'/'images'/'card.jpg', quality=88, optimize=True)
    favicon().save(ROOT/'nbs'/'images'/'favicon.png', optimize=True)
