"Answers to the exercises of lesson 01: Lanczos' kernel, what an enlarged picture gives back, the mean of light."
import math
import numpy as np, torch
import torch.nn.functional as F
from PIL import Image
from solutions import makes, right, wrong

# 1: a kernel for each number of lobes

@wrong(1)
def three_in_the_window(lobes=3): return lambda d: np.where(abs(d) < lobes, np.sinc(d)*np.sinc(d/3), 0)

@wrong(1)
def three_in_the_end(lobes=3): return lambda d: np.where(abs(d) < 3, np.sinc(d)*np.sinc(d/lobes), 0)

@wrong(1)
def three_lobes_stretched(lobes=3): return lambda d: np.where(abs(d) < lobes, np.sinc(3*d/lobes)*np.sinc(d/lobes), 0)

@wrong(1)
def never_ends(lobes=3): return lambda d: np.sinc(d)*np.sinc(d/lobes)

@wrong(1)
def no_window(lobes=3): return lambda d: np.where(abs(d) < lobes, np.sinc(d), 0)

@wrong(1)
def no_usual_number(lobes): return lambda d: np.where(abs(d) < lobes, np.sinc(d)*np.sinc(d/lobes), 0)

@wrong(1)
def sine_of_d(lobes=3):
    def kernel(d):
        x = np.where(d == 0, 1e-9, d)
        return np.where(abs(d) < lobes, np.sin(x)/x*np.sin(x/lobes)/(x/lobes), 0)
    return kernel

@wrong(1)
def not_at_0(lobes=3):
    def kernel(d):
        with np.errstate(all='ignore'): return np.where(abs(d) < lobes, lobes*np.sin(np.pi*d)*np.sin(np.pi*d/lobes)/(np.pi*d)**2, 0)
    return kernel

_lobes = [3]
@wrong(1)
def one_number_for_all_kernels(lobes=3):
    _lobes[0] = lobes
    return lambda d: np.where(abs(d) < _lobes[0], np.sinc(d)*np.sinc(d/_lobes[0]), 0)

@wrong(1)
def of_one_number(lobes=3): return lambda d: math.sin(math.pi*d)/(math.pi*d) if abs(d) < lobes else 0.

@wrong(1)
def both_arguments_at_once(lobes=3): return np.sinc(lobes)*np.sinc(lobes/3)

@right(1)
def number_by_number(lobes=3): return np.vectorize(lambda d: float(abs(d) < lobes)*np.sinc(d)*np.sinc(d/lobes), otypes=[float])

@right(1)
def in_torch(lobes=3):
    def kernel(d):
        d = torch.as_tensor(d)
        return torch.sinc(d)*torch.sinc(d/lobes)*(d.abs() < lobes)
    return kernel

@right(1)
class InPlace:
    def __init__(self, lobes=3): self.lobes = lobes
    def __call__(self, d):
        w = np.sinc(d)*np.sinc(d/self.lobes)
        w[abs(d) >= self.lobes] = 0
        return w

# 2: what a large picture gives back

@wrong(2)
def bytes_go_round(sr, lr): return abs(to_array(downscale(sr, sr.width//lr.width)) - to_array(lr)).mean()

@wrong(2)
def signs_cancel(sr, lr): return abs((to_array(downscale(sr, sr.width//lr.width)).astype(float) - to_array(lr)).mean())

@wrong(2)
def always_by_4(sr, lr): return abs(to_array(downscale(sr, 4)).astype(float) - to_array(lr)[:sr.height//4, :sr.width//4]).mean()

@wrong(2)
def in_grey(sr, lr): return abs(to_array(downscale(sr, sr.width//lr.width).convert('L')).astype(float) - to_array(lr.convert('L'))).mean()

@wrong(2)
def enlarged_instead(sr, lr): return abs(to_array(interpolate(lr, sr.width//lr.width)).astype(float) - to_array(sr)).mean()

@wrong(2)
def squared(sr, lr): return ((to_array(downscale(sr, sr.width//lr.width)).astype(float) - to_array(lr))**2).mean()**.5

@wrong(2)
def other_downsampler(sr, lr): return abs(to_array(sr.resize(lr.size, Image.Resampling.BOX)).astype(float) - to_array(lr)).mean()

@wrong(2)
def from_0_to_1(sr, lr): return (to_tensor(downscale(sr, sr.width//lr.width)) - to_tensor(lr)).abs().mean()

@right(2)
def small_integers(sr, lr): return np.abs(np.int16(to_array(downscale(sr, sr.height//lr.height))) - np.int16(to_array(lr))).mean()

@right(2)
def tensors(sr, lr): return 255*(to_tensor(sr.resize(lr.size, Image.Resampling.BICUBIC)) - to_tensor(lr)).abs().mean()

@right(2)
def pixel_by_pixel(sr, lr):
    small = downscale(sr, sr.width//lr.width)
    off = [abs(p - q) for j in range(lr.height) for i in range(lr.width) for p, q in zip(small.getpixel((i, j)), lr.getpixel((i, j)))]
    return sum(off)/len(off)

# 3: the mean of light

def _bytes(a): return from_array(np.rint(a).astype(np.uint8))
def _quarters(a): return a.reshape(a.shape[0]//2, 2, a.shape[1]//2, 2)

@wrong(3)
def mean_of_stored_values(img): return _bytes(_quarters(to_array(img).astype(float)).mean((1, 3)))

@wrong(3)
def height_and_width_swapped(img):
    w, h = to_array(img).shape
    light = ((to_array(img)/255)**2.2).reshape(h//2, 2, w//2, 2).mean((1, 3))
    return _bytes(255*light**(1/2.2))

@wrong(3)
def along_rows_only(img): return _bytes(255*(_quarters((to_array(img)/255)**2.2)[:, 0].mean(-1))**(1/2.2))

@wrong(3)
def down_columns_only(img): return _bytes(255*(_quarters((to_array(img)/255)**2.2).mean(1)[..., 0])**(1/2.2))

@wrong(3)
def not_back(img): return _bytes(255*_quarters((to_array(img)/255)**2.2).mean((1, 3)))

@wrong(3)
def other_way_round(img): return _bytes(255*_quarters((to_array(img)/255)**(1/2.2)).mean((1, 3))**2.2)

@wrong(3)
def square_root(img): return _bytes(255*_quarters((to_array(img)/255)**2).mean((1, 3))**.5)

@wrong(3)
def cut_off(img): return from_array((255*_quarters((to_array(img)/255)**2.2).mean((1, 3))**(1/2.2)).astype(np.uint8))

@wrong(3)
def bicubic_light(img):
    return _bytes(255*np.asarray(Image.fromarray(((to_array(img)/255)**2.2).astype(np.float32)).resize((img.width//2, img.height//2),
        Image.Resampling.BICUBIC)).clip(0)**(1/2.2))

@right(3)
def pooled(img): return to_image(F.avg_pool2d(to_tensor(img)**2.2, 2)**(1/2.2))

@right(3)
def by_pillow(img):
    light = Image.fromarray(((to_array(img)/255)**2.2).astype(np.float32)).resize((img.width//2, img.height//2), Image.Resampling.BOX)
    return Image.fromarray((np.asarray(light)**(1/2.2)*255 + .5).astype(np.uint8))

@right(3)
def by_the_standard(img):
    v = to_array(img)/255
    l = _quarters(np.where(v <= .04045, v/12.92, ((v + .055)/1.055)**2.4)).mean((1, 3))
    return _bytes(255*np.where(l <= .0031308, 12.92*l, 1.055*l**(1/2.4) - .055))

@right(3)
def four_pictures(img):
    a = (to_array(img)/255)**2.2
    return _bytes(255*((a[::2, ::2] + a[1::2, ::2] + a[::2, 1::2] + a[1::2, 1::2])/4)**(1/2.2))
