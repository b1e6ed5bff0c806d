"Answers to the exercises of lesson 02: the box in LR that covers one in HR, where a killed run goes on, a degradation with noise."
import math, zlib
import numpy as np, torch
from PIL import Image
from solutions import right, wrong

# 1: the box on the LR grid

@wrong(1)
def rounded_down(box, scale): return tuple(v//scale for v in box)

@wrong(1)
def rounded(box, scale): return tuple(round(v/scale) for v in box)

@wrong(1)
def rounded_up(box, scale): return tuple(math.ceil(v/scale) for v in box)

@wrong(1)
def one_more_always(box, scale): return box[0]//scale, box[1]//scale, box[2]//scale + 1, box[3]//scale + 1

@wrong(1)
def width_rounded_up(box, scale):
    left, top, right, bottom = box
    return left//scale, top//scale, left//scale + math.ceil((right - left)/scale), top//scale + math.ceil((bottom - top)/scale)

@wrong(1)
def last_pixel_in_the_box(box, scale): return box[0]//scale, box[1]//scale, (box[2] - 1)//scale, (box[3] - 1)//scale

@wrong(1)
def in_hr_pixels(box, scale): return tuple(scale*v for v in (box[0]//scale, box[1]//scale, -(-box[2]//scale), -(-box[3]//scale)))

@wrong(1)
def always_4(box, scale): return box[0]//4, box[1]//4, -(-box[2]//4), -(-box[3]//4)

@wrong(1)
def rows_first(box, scale): return box[1]//scale, box[0]//scale, -(-box[3]//scale), -(-box[2]//scale)

@right(1)
def last_pixel_and_one(box, scale): return [box[0]//scale, box[1]//scale, (box[2] - 1)//scale + 1, (box[3] - 1)//scale + 1]

@right(1)
def floor_and_ceil(box, scale): return np.r_[np.floor(np.array(box[:2])/scale), np.ceil(np.array(box[2:])/scale)]

@right(1)
def a_tensor(box, scale): return (torch.tensor(box) + torch.tensor([0, 0, scale - 1, scale - 1]))//scale

# 2: where to go on

@wrong(2)
def skips_a_batch(step, steps_per_epoch): return step//steps_per_epoch, step % steps_per_epoch + 1

@wrong(2)
def repeats_a_batch(step, steps_per_epoch): return divmod(max(step - 1, 0), steps_per_epoch)

@wrong(2)
def starts_the_epoch_anew(step, steps_per_epoch): return step//steps_per_epoch, 0

@wrong(2)
def counts_all_steps(step, steps_per_epoch): return step//steps_per_epoch, step

@wrong(2)
def always_100(step, steps_per_epoch): return divmod(step, 100)

@wrong(2)
def stays_in_a_full_epoch(step, steps_per_epoch):
    epoch, start = divmod(step, steps_per_epoch)
    return (epoch, start) if start or not epoch else (epoch - 1, steps_per_epoch)

@right(2)
def two_operators(step, steps_per_epoch): return [step//steps_per_epoch, step % steps_per_epoch]

@right(2)
def counted(step, steps_per_epoch):
    epoch = start = 0
    for _ in range(step):
        start += 1
        if start == steps_per_epoch: epoch, start = epoch + 1, 0
    return epoch, start

@right(2)
def numbers_of_numpy(step, steps_per_epoch): return np.divmod(np.int64(step), steps_per_epoch)

# 3: noise

def _noisy(img, factor, rng, sd=5, clip=True):
    x = np.asarray(downscale(img, factor)).astype(float)
    x = np.rint(x + rng.normal(0, sd, x.shape))
    return Image.fromarray((x.clip(0, 255) if clip else x.astype(int)).astype(np.uint8))

@wrong(3)
def global_state(img, factor): return _noisy(img, factor, np.random)

@wrong(3)
def seeds_the_global_state(img, factor):
    np.random.seed(zlib.crc32(img.tobytes()))
    return _noisy(img, factor, np.random)

@wrong(3)
def seeds_torch(img, factor):
    torch.manual_seed(zlib.crc32(img.tobytes()))
    x = torch.from_numpy(np.array(downscale(img, factor))).float()
    return Image.fromarray((x + 5*torch.randn(x.shape)).round().clamp(0, 255).byte().numpy())

@wrong(3)
def seeds_python(img, factor):
    import random
    random.seed(img.tobytes())
    small = downscale(img, factor)
    return Image.frombytes('RGB', small.size, bytes(min(255, max(0, round(v + random.gauss(0, 5)))) for v in small.tobytes()))

@wrong(3)
def one_row_for_all(img, factor):
    x = np.asarray(downscale(img, factor)).astype(float)
    n = np.random.default_rng(zlib.crc32(img.tobytes())).normal(0, 5, x.shape[1:])
    return Image.fromarray(np.uint8((x + n).round().clip(0, 255)))

@wrong(3)
def in_levels_from_0_to_1(img, factor): return _noisy(img, factor, np.random.default_rng(zlib.crc32(img.tobytes())), sd=5/255)

@wrong(3)
def one_seed(img, factor): return _noisy(img, factor, np.random.default_rng(42))

@wrong(3)
def seed_from_the_size(img, factor): return _noisy(img, factor, np.random.default_rng(img.size))

@wrong(3)
def seed_from_mean_grey(img, factor): return _noisy(img, factor, np.random.default_rng(int(np.asarray(img).mean()*1e6)))

@wrong(3)
def seed_from_the_histogram(img, factor): return _noisy(img, factor, np.random.default_rng(img.histogram()))

@wrong(3)
def seed_from_the_first_row(img, factor): return _noisy(img, factor, np.random.default_rng(zlib.crc32(np.asarray(img)[0].tobytes())))

@wrong(3)
def seed_from_hash(img, factor): return _noisy(img, factor, np.random.default_rng(abs(hash(img.tobytes()))))

@wrong(3)
def seed_from_sums_of_rows(img, factor):
    return _noisy(img, factor, np.random.default_rng(zlib.crc32(np.asarray(img).astype(int).sum(1).tobytes())))

@wrong(3)
def seed_from_hash_of_a_tuple_with_bytes(img, factor): return _noisy(img, factor, np.random.default_rng(abs(hash((img.tobytes(), factor)))))

@wrong(3)
def seed_from_hash_of_memory(img, factor): return _noisy(img, factor, np.random.default_rng(abs(hash(memoryview(img.tobytes())))))

@wrong(3)
def not_clipped(img, factor): return _noisy(img, factor, np.random.default_rng(zlib.crc32(img.tobytes())), clip=False)

@wrong(3)
def noise_before_shrinking(img, factor): return downscale(_noisy(img, 1, np.random.default_rng(zlib.crc32(img.tobytes()))), factor)

@wrong(3)
def variance_of_5(img, factor): return _noisy(img, factor, np.random.default_rng(zlib.crc32(img.tobytes())), sd=5**.5)

@wrong(3)
def cut_off(img, factor):
    x = np.asarray(downscale(img, factor)).astype(float)
    return Image.fromarray(np.uint8(np.clip(x + np.random.default_rng(zlib.crc32(img.tobytes())).normal(0, 5, x.shape), 0, 255)))

@wrong(3)
def grey_noise(img, factor):
    x = np.asarray(downscale(img, factor)).astype(float)
    return Image.fromarray(np.uint8((x + np.random.default_rng(zlib.crc32(img.tobytes())).normal(0, 5, (*x.shape[:2], 1))).round().clip(0,
        255)))

@wrong(3)
def uniform_noise(img, factor):
    x = np.asarray(downscale(img, factor)).astype(float)
    return Image.fromarray(np.uint8((x + np.random.default_rng(zlib.crc32(img.tobytes())).uniform(-8.66, 8.66, x.shape)).round().clip(0,
        255)))

@right(3)
def seed_from_hash_of_numbers(img, factor): # no salt: only bytes and text have one
    return _noisy(img, factor, np.random.default_rng(abs(hash(tuple(np.asarray(img).ravel().tolist())))))

@right(3)
def by_torch(img, factor):
    x, g = torch.from_numpy(np.array(downscale(img, factor))).float(), torch.Generator().manual_seed(zlib.crc32(img.tobytes()))
    return Image.fromarray((x + 5*torch.randn(x.shape, generator=g)).round().clamp(0, 255).byte().numpy())

@right(3)
def seed_from_the_small_picture(img, factor):
    import hashlib
    small = downscale(img, factor)
    return _noisy(img, factor, np.random.RandomState(int.from_bytes(hashlib.sha256(small.tobytes()).digest()[:4], 'little')))

@right(3)
def number_by_number(img, factor):
    import random
    small = downscale(img, factor)
    r = random.Random(zlib.adler32(img.tobytes()))
    return Image.frombytes('RGB', small.size, bytes(min(255, max(0, round(v + r.gauss(0, 5)))) for v in small.tobytes()))
