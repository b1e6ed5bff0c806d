#!/usr/bin/env python3
"""Put a trained model into the package: weights in float16, its figures, the picture of its failures, its card, and its line in the index.

usage: ship.py RUN NAME [SHARE]  RUN is the folder that `srgan-train --out RUN` has left; NAME is what people will call the model; SHARE:
                               how far to go from the network before the game (or the model begun with) to the one after it (lesson 17), 1 if it is left out
       ship.py --cards         only write the cards and the pictures anew, from the models and the figures in results/
       ship.py --graphs        only write the ONNX graphs anew, from the models (they hold no weights and point into the .safetensors)

Writes srgan_course/models/NAME.safetensors, NAME.onnx, NAME.md, NAME-failures.jpg and index.json, and results/NAME-{train,set5,embedded}.json; --cards also results/NAME-outlook.json and NAME-paired.json.
Set5 and BSDS500 are looked for in SRGAN_DATA.
"""
import subprocess, sys, time
from pathlib import Path
from frame import RESULTS, ROOT, ledger, read_json, write_json
from srgan_course.kit.models import read_index, write_index

MODELS = ROOT/'srgan_course'/'models'
SETS = 'set5', 'embedded'
TERMS = {'bsds500': ('300 photographs of BSDS500 (`train`, and every second picture by name of `test`, beginning with the second)',
                     'Berkeley offers it for non-commercial research and education'),
         't91': ('the 91 pictures of Yang et al. (2010)', 'none stated for the pictures'),
         'pets': ('1,800 photographs of cats and dogs from the Asirra set, short side 160 pixels',
                  'Kaggle offers it "for fun and research"; no licence stated for the pictures'),
         'photos': ('600 photographs, one each of 600 ImageNet classes, short side 200 pixels',
                    'ImageNet gives access for non-commercial research and education'),
         'hr': ('160 sharp photographs of wallpapers and app examples, sides 512 to 1152 pixels (20 others, all that may be shown, are held '
                'out by name: `kit.sources.HR_HELD`)', 'CC BY-SA, CC BY and CC0, BSD and LGPL, picture by picture')}
FAILS = dict(china=(232, 120, 'what repeats within a pixel of the small picture (railings, tiles) comes out smooth, or at another rhythm'),
             chelsea=(96, 20, 'hair finer than that becomes paint: the mean of all possible hairs is no hair'),
             coffee=(0, 172, 'the grain of the wood is thinner than a pixel of the small picture: fewer, thicker, smoother lines come out'))   # left, top, what goes wrong
# what goes wrong where a game was played
GAME = dict(china='roof tiles and railings become smears of the right colours',
            chelsea='hairs that lie in other directions than the cat\'s own', coffee='a coarser wood: its fine straight grain is not there')

def result(name): return read_json(RESULTS/f'{name}.json')

def figures(name): return result(name)['figures']

def evaluate(model, data, scale):
    "Have `srgan-evaluate` measure, unless it is one of the classic ways and was measured before."
    classic = not (MODELS/f'{model}.safetensors').exists()
    out = RESULTS/(f'{model}-x{scale}-{data}.json' if classic else f'{model}-{data}.json')
    if not classic or not out.exists():
        subprocess.run([sys.executable, '-m', 'srgan_course', 'evaluate', '--model', model, '--data', data, '--scale', str(scale),
                        '--result', str(out.relative_to(ROOT))], check=True, cwd=ROOT, stdout=subprocess.DEVNULL)
    return out.stem

def label(img, text, height=18):
    "A picture under a strip with a line in it, `height` pixels high."
    from PIL import Image, ImageDraw, ImageFont
    out, font = Image.new('RGB', (img.width, img.height + height), 'white'), ImageFont.load_default(size=.72*height)
    out.paste(img, (0, height))
    while font.getlength(text) > img.width - 4 and len(text) > 1: text = text[:-1]
    ImageDraw.Draw(out).text((2, height/2), text, fill='black', font=font, anchor='lm')
    return out

def side_by_side(imgs, gap=4):
    "Pictures of one height in a row on white."
    from PIL import Image
    out = Image.new('RGB', (sum(m.width + gap for m in imgs) - gap, imgs[0].height), 'white')
    for i, m in enumerate(imgs): out.paste(m, (sum(o.width + gap for o in imgs[:i]), 0))
    return out

def failures(name):
    "Three places of the held-out photos where the model is at its worst: small picture, bicubic, model, original."
    from srgan_course.data import PHOTOS, sample_photos
    from srgan_course.images import crop_to_multiple, downscale, save_image, interpolate
    from srgan_course.upscale import Upscaler
    from PIL import Image
    up, rows = Upscaler.load(name, device='cpu'), []
    s = up.scale
    for photo, (left, top, _) in FAILS.items():
        hr = crop_to_multiple(sample_photos('valid')[photo].convert('RGB'), s)
        lr = downscale(hr, s)
        box = tuple(v//s*s for v in (left, top, left + 96, top + 96))
        cells = dict(LR=interpolate(lr, s, 'nearest'), bicubic=interpolate(lr, s), **{name: up(lr)}, HR=hr)
        rows.append(side_by_side([label(im.crop(box).resize((192, 192), Image.Resampling.NEAREST), k) for k, im in cells.items()]))
    sheet = Image.new('RGB', (rows[0].width, sum(r.height + 4 for r in rows)), 'white')
    for i, r in enumerate(rows): sheet.paste(r, (0, i*(r.height + 4)))
    save_image(sheet, MODELS/f'{name}-failures.jpg', quality=80)
    return '; '.join(f'`{n}`: {PHOTOS[n][3]}' for n in FAILS)

LEGS = 'first', 'second', 'third', 'fourth', 'fifth'

def legs(name):
    "The results of earlier trainings that a model of this name has gone on from, in their order."
    return [read_json(p) for leg in LEGS if (p := RESULTS/f'{name}-{leg}-train.json').exists()]

def earlier(name):
    "Rows of the card that say what those were."
    return [f"| {'begun from' if k == 0 else 'then'} | an earlier `{name}`: {recipe_text(r['recipe'])}; "
            f"{r['recipe']['epochs']*r['recipe']['steps_per_epoch']:,} steps, {r['seconds']/60:.0f} minutes, `{r['command']}`, commit "
            f"{r['commit'][:10]} |" for k, r in enumerate(legs(name))]

def outlook(name, wanted=.1):
    "What more training would bring, from the earlier ones: dB a doubling of the steps, and what `wanted` dB would take at the last rate."
    from math import log2
    parts = [*legs(name), result(f'{name}-train')]
    if len(parts) < 3: return []
    db = [next(v['psnr'] for k, v in p['figures'].items() if k not in ('nearest', 'bicubic')) for p in parts]
    each = [p['recipe']['epochs']*p['recipe']['steps_per_epoch'] for p in parts]
    steps = [sum(each[:k + 1]) for k in range(len(each))]
    rates = [(b - a)/log2(t/s) for a, b, s, t in zip(db, db[1:], steps, steps[1:])]
    more = steps[-1]*(2**(wanted/rates[-1]) - 1)
    f = dict(steps=steps, db=[round(v, 4) for v in db], db_a_doubling=[round(v, 4) for v in rates], db_wanted=wanted,
             more_steps=round(more), seconds_a_step=round(parts[-1]['seconds']/each[-1], 4), hours=round(more*parts[-1]['seconds']/each[-1]/3600, 1))
    path = RESULTS/f'{name}-outlook.json'
    if not path.exists() or read_json(path)['figures'] != f:
        ledger(path, f'{name}: what more training would bring, worked out from its {len(parts)} trainings', f, parts[-1]['data'], parts[-1]['n'],
               protocol=parts[-1]['protocol'], seed=parts[-1]['seed'])
    said = lambda vs: ', '.join(vs[:-1]) + ' and ' + vs[-1]
    return [f"What more training would bring: after {said([f'{n:,}' for n in steps])} steps in all it had {said([f'{v:.3f}' for v in db])} dB on these "
            f"photographs, that is {said([f'{v:.3f}' for v in rates])} dB for each doubling of the steps (each part had a rate that began anew, and more "
            f"pictures or copies of them). At the last of these rates {wanted:g} dB more takes {round(more, -4):,.0f} more steps, "
            f"{f['hours']:.0f} hours at the last part's {f['seconds_a_step']:.2f} s a step.", '']

RIVALS = {'srresnet-x4': 'light-x4'}     # what a card sets a model beside, photograph by photograph

def beside(name):
    """How much more PSNR the model has than another one on the held-out photographs, with the interval of the paired differences; measured anew where
    one of the two has other weights than it had."""
    if name not in RIVALS: return []
    from srgan_course.data import bsds_split
    from srgan_course.generators import load_model
    from srgan_course.kit.models import find_model
    from srgan_course.metrics import evaluate_sr
    from srgan_quality import less
    other, path, start = RIVALS[name], RESULTS/f'{name}-paired.json', time.perf_counter()
    nets = {m: load_model(find_model(m)) for m in (name, other)}
    sums = {m: net.meta['checksum'] for m, net in nets.items()}
    if not path.exists() or read_json(path)['checksums'] != sums:
        held = bsds_split()['valid']
        psnr = {m: evaluate_sr(net, held, net.args['scale'], strict=False).psnr[:-1].tolist() for m, net in nets.items()}
        f = {m: dict(psnr=round(sum(v)/len(v), 4)) for m, v in psnr.items()}
        f['difference'] = dict(psnr=less(psnr[name], psnr[other]), better_on=sum(a > b for a, b in zip(psnr[name], psnr[other])))
        ledger(path, f'{name} beside {other}, photograph by photograph, one training each, as they ship', f, 'bsds500, the 100 held-out photographs',
               len(held), start, seed=0, checksums=sums,
               protocol='PSNR on Y (BT.601), 4 pixels cropped, x4, LR by bicubic; value: mean difference over the photographs, with its 95 % interval '
                        'from 1000 draws of whole photographs (seed: of the draws)')
    r = read_json(path); d = r['figures']['difference']; lo, hi = d['psnr']['interval']
    return [f"Photograph by photograph it has {d['psnr']['value']:.4f} dB {'more' if d['psnr']['value'] > 0 else 'less'} than `{other}` on the held-out photographs of BSDS500 (95 % interval "
            f"{lo:.4f} to {hi:.4f} dB; better on {d['better_on']} of {r['n']}). That is for other photographs of this kind: each model was trained "
            f"once, so what another training of either would give is not in the interval."
            + ' The share of its mix was chosen on these photographs, which favours it.'*(result(f'{name}-train').get('share', 1.) < 1), '']

def nearness(name):
    "The table of KID and what stands beside it, where srgan_quality.py has measured it."
    path = RESULTS/f'{name}-kid.json'
    if not path.exists(): return []
    r = read_json(path); f = r['figures']
    models = [m for m in f if ' - ' not in m]
    rows = [f"| {'' if m == name else f'{name} beside '}{m} | {v['kid']:.5f} ({v['interval'][0]:.5f} to {v['interval'][1]:.5f}) | "
            f"{v['gradient']:.2f} | {v['psnr']:.2f} |" for m, v in ((m, f[m]) for m in models)]
    less = [f"| {name} less {m} | {v['kid']:.5f} ({v['interval'][0]:.5f} to {v['interval'][1]:.5f}) | | |" for m,
            v in ((m, f[f'{name} - {m}']) for m in models[:-1])]
    return ['| the 100 held-out photographs of BSDS500 | KID (95 % interval) | gradient, share of HR\'s | PSNR |', '|---|---|---|---|',
            *rows, *less, '',
            f"{r['protocol'][0].upper() + r['protocol'][1:].partition('; squeeze-caffe')[0]}. Smaller KID is nearer; a difference whose "
            f"interval holds 0 is none. LPIPS is not given: its weights could not be had where this was measured.", '']

def card(name, i, made):
    "The model card: every figure comes from results/."
    from srgan_course.watching import who_is_ahead
    r = result(f'{name}-train')
    q, s = r['recipe'], i['scale']
    woman = lambda m: f"{figures(f'{m}-set5')['woman']['psnr']:.2f} dB"
    row = lambda m, n: f'| {n} | ' + ' | '.join(f"{f['psnr']:.2f} / {f['ssim']:.4f}"
                                                for f in (figures(f'{m}-{d}')['mean'] for d in SETS)) + ' |'
    held = r['figures']
    steps = i['steps']
    lines = [f'# {name}', '', i['summary'], '', '| | |', '|---|---|',
        f"| network | `{i['network']}({', '.join(f'{k}={v}' for k, v in i['args'].items())})`: {i['parameters']:,} parameters, no batch "
        f"norm, added to a bicubic skip |",
        f"| file | `{name}.safetensors`, float16 weights, {i['bytes']:,} bytes, licence {i['licence']} |",
        f"| trained on | {'; '.join(TERMS[d][0] for d in i['data'])}; those smaller than {max(q['size'], q['late_size'])} pixels were left "
        f"out |", f"| terms of the data | {'; '.join(f'{d}: {TERMS[d][1]}' for d in i['data'])}. No picture of them is in the file |",
        f"| recipe | {i['recipe_text']} |", *earlier(name),
             f"| steps, seed, precision | {steps:,} steps, seed {q['seed']}, {q['precision']} |",
        f"| time | {r['seconds']/60:.0f} minutes on one core of a shared virtual machine ({r['processor']}), beside other work |",
        f"| made by | `{r['command']}`, commit {r['commit'][:10]}, torch {r['versions']['torch']}; then `python benchmarks/ship.py` |", '',
             '## Figures', '',
        f'| x{s}, PSNR / SSIM | Set5 (5 pictures) | embedded held-out photos (3) |', '|---|---|---|',
             *[row(f'{m}-x{s}', m) for m in ('nearest', 'bicubic', 'lanczos')], row(name, name), '',
        f"On the {r['n']} held-out photographs of BSDS500 (whole pictures): bicubic {held['bicubic']['psnr']:.2f} dB / "
        f"{held['bicubic']['ssim']:.4f}, {name} {held[made]['psnr']:.2f} dB / {held[made]['ssim']:.4f} (float32 weights).", '',
        f"PSNR and SSIM on luminance (BT.601), {s} pixels cropped, LR by Pillow's antialiased bicubic; `srgan-evaluate --model {name} "
        f"--data set5` gives them again.", '', *beside(name), *outlook(name), *nearness(name),
        *([f"At the end the critic says D(x) = {r['balance']['d_real']:.2f} of real pictures and D(G(z)) = {r['balance']['d_fake']:.2f} of "
           f"generated ones (means of the last 50 steps): {who_is_ahead(**r['balance'], real_label=q['real_label'])}."
           + (f" It stands a real patch above a generated one in {100*r['accuracy']:.0f} % of pairs (last 250 steps; 50 % is a coin)."
              if 'accuracy' in r else ''), '']
          if 'balance' in r
          else []),
        '## Where it fails', '', f'![Small picture, bicubic, {name} and original at three places where it fails]({name}-failures.jpg)', '',
             *[f"- `{n}`: {GAME[n] if 'balance' in r else why}." for n, (_, _, why) in FAILS.items()],
        '- Pictures that are not small copies of sharp ones: it has only seen photographs made small by clean bicubic interpolation. '
        'Noise, JPEG blocks and motion blur are enlarged like everything else.', '',
        f"Photos: {i['credit']}.", '', '## What it must not be used for', '',
        'Identifying people, reading number plates, medical or legal evidence, or any purpose in which invented detail could be taken for '
        'recorded detail.', '',
        "Four of Set5's five pictures, BSD100 and, as far as their sources say, Set14 and Urban100 were not trained on. The fifth, `woman`, is "
        f"`train/302003` of BSDS500 made smaller; its {woman(name)} (bicubic {woman(f'bicubic-x{s}')}) may owe something to memory. No "
        'checkpoint was chosen on any of them: '
        + ('the last one is the one that ships.' if r.get('share', 1.) == 1 else
           'the last one and the one before the game were mixed, by a share picked by eye on other held-out photographs.' if 'balance' in r else
           'the last one and the one it began with were mixed, by a share chosen on the 100 held-out photographs above.')]
    (MODELS/f'{name}.md').write_text('\n'.join(lines) + '\n', encoding='utf-8')

LATE = dict(mse='MSE', l1='L1', charbonnier='Charbonnier\'s loss')

def recipe_text(q, share=1.):
    "The recipe in words."
    parts = [f"`{q['name']}`: " + (LATE[q['pre_loss']] if q['critic'] == 'none'
                                   else f"a game against `{q['critic']}`; generator's loss {q['content']:g} x {q['content_loss'].upper()} "
                                        f"+ {q['perceptual']:g} x {q['feature_net']} ({q['feature_loss'].upper()}) + {q['adv']:g} x "
                                        f"{q['adv_kind']}" + (f" + {q['grid']:g} x `GridLoss`" if q['grid'] else ''))]
    if q['shift'] or q['soften']:
        often = {0: '', 1: 'softened once and ', 2: 'softened twice and '}.get(q['soften'], f"softened {q['soften']} times and ")
        parts.append(f"{'the critic and the feature net see' if q['alike'] else 'the critic sees'} pictures {often}moved by up to "
                     f"{q['shift']} pixels")
    if share < 1: parts.append(f"what ships lies {share:g} of the way from " + (
        'the network that it began with to the one after this training, weight by weight, because on the held-out photographs of BSDS500 that is better '
        'than either end' if q['critic'] == 'none' else
        'the network before the game to the one after it (a share picked by eye on six of the held-out photographs of `hr`)'))
    if q['start']: parts.append(f"begun from `{Path(q['start']).stem}`")
    if q['critic'] != 'none' and q['pre_epochs']:
        parts.append(f"before the game {q['pre_epochs']*q['steps_per_epoch']:,} steps of {q['pre_loss'].upper()} at {q['pre_lr']:g}")
    parts.append(f"Adam {q['pre_lr']:g} with a twentieth of warm-up and a cosine" if q['critic'] == 'none'
                 else f"Adam {q['gan_lr']:g} and {q['crit_lr']:g} for the critic")
    if q.get('copies'):
        parts.append('each training picture also at ' + ' and '.join(f'{100*.8**k:.0f} %' for k in range(1, q['copies'] + 1))
                     + ' of its size')
    parts.append(f"average of weights (EMA {q['ema']:g}), batches of {q['bs']} patches of {q['size']} x {q['size']} pixels"
                 + (f", {q['late_size']} x {q['late_size']} in the last {100*q['late']:.0f} % of the epochs"
                    + (f", with {LATE[q['late_loss']]}" if q.get('late_loss') else '') if q['late'] else ''))
    return ', '.join(parts) + ", flips and quarter turns, LR by Pillow's antialiased bicubic of the whole picture"

SUMMARY = {'light-x4': 'Enlarges photographs by four in each direction. The default model of `srgan-upscale`.',
           'light-x2': 'Enlarges photographs by two in each direction.',
           'srresnet-x4': 'The network of `srgan-x4` trained on pixels alone, for comparison: hardly more accurate than `light-x4`, and larger.',
           'srgan-x4': 'Enlarges photographs by four with invented texture: sharper to the eye, further from the pixels.'}

def graphs(*names):
    from srgan_course.generators import load_model, shipped_models
    from srgan_course.kit.engines import export_onnx
    for name, file in (shipped_models() | shipped_models(noise=True)).items():
        if not names or name in names: print(export_onnx(load_model(file), file.with_suffix('.onnx'), beside=True))

def last_accuracy(run, n=250):
    "How often the critic stood a real patch above a generated one, mean of the last steps."
    import pandas as pd
    return round(float(pd.read_csv(run/'history_gan.csv').crit_acc.dropna()[-n:].mean()), 3)

def mixed(run, share):
    """The network that lies between the one before the game (without a game: the model that the run began with) and the one after it, and
    figures on the held-out pictures: its own, and without a game those of the ends and the middle."""
    from srgan_course.esrgan import mix_networks
    from srgan_course.generators import load_model
    from srgan_course.kit.sources import split_source
    from srgan_course.metrics import evaluate_sr
    res, after = read_json(run/'results.json'), load_model(run/'generator.safetensors')
    before = load_model(run/'pretrained.safetensors' if res['recipe']['critic'] != 'none' else MODELS/f"{res['recipe']['start']}.safetensors")
    held = split_source(res['data'], res['recipe']['size'])[1]
    measure = lambda t: evaluate_sr(mix_networks(before, after, t), held, after.args['scale'], strict=False).loc['mean'].to_dict()
    if res['recipe']['critic'] != 'none': figures = {'SRGAN': measure(share)}
    else: figures = {f'share {t:g}': measure(t) for t in (0, .5, 1)} | {res['recipe']['name']: measure(share)}
    net = mix_networks(before, after, share)
    net.meta = after.meta
    return net, figures

def ship(run, name, share=1.):
    import torch
    from srgan_course.generators import count_params, load_model, read_model, save_model
    run, net = Path(run), load_model(Path(run)/'generator.safetensors')
    res = read_json(run/'results.json')
    q, data = res['recipe'], res['data'].split('+')
    if share < 1:
        net, figs = mixed(run, share)
        res['figures'] |= figs
        res['share'] = share
        res.pop('said', None)                            # of the end of the run
    made = {k: v for k, v in net.meta.items() if k in ('recipe', 'phase', 'steps')}
    file = save_model(net, MODELS/f'{name}.safetensors', dtype=torch.float16, licence='Apache-2.0', data=res['data'], card=f'{name}.md',
                      **made)
    graphs(name)
    # goes on with the model of the same name
    if q['start'] == name and (last := result(f'{name}-train'))['recipe'] != q:
        leg = f'{name}-{LEGS[len(legs(name))]}-train'
        write_json(RESULTS/f'{leg}.json', {**last, 'name': leg})
    if (run/'history_gan.csv').exists():
        from srgan_course.kit.runs import last_words
        res['balance'], res['accuracy'] = last_words(run), last_accuracy(run)
    write_json(RESULTS/f'{name}-train.json', {**res, 'name': f'{name}-train'})
    index = read_index()
    for d in SETS:
        for m in ('nearest', 'bicubic', 'lanczos', name): evaluate(m, d, net.args['scale'])
    index[name] = dict(summary=SUMMARY[name], scale=net.args['scale'], network=type(net).__name__, args=net.args,
                       parameters=count_params(net), bytes=file.stat().st_size, licence='Apache-2.0', data=data,
        checksum=read_model(file)[1]['checksum'], steps=int(made['steps']), recipe_text=recipe_text(q, share),
                       **{d: {k: round(figures(f'{name}-{d}')['mean'][k], 4) for k in ('psnr', 'ssim')} for d in SETS})
    write_index(index)
    cards(name)

def cards(*names):
    index = read_index()
    for name in names or index:
        r = result(f'{name}-train')
        index[name]['recipe_text'] = recipe_text(r['recipe'], r.get('share', 1.))
        index[name]['credit'] = failures(name)
        r = result(f'{name}-train')
        card(name, index[name], 'SRGAN' if 'SRGAN' in r['figures'] else r['recipe']['name'])
        write_index(index)
        print(f"{name}: {', '.join(f'{d} {index[name][d]}' for d in SETS)}")

if __name__ == '__main__':
    if sys.argv[1:] == ['--cards']: cards()
    elif sys.argv[1:] == ['--graphs']: graphs()
    elif len(sys.argv) in (3, 4) and not {'-h', '--help'} & {*sys.argv}: ship(*sys.argv[1:3], *map(float, sys.argv[3:]))
    elif {'-h', '--help'} & {*sys.argv}: print(__doc__)
    else: raise SystemExit(__doc__)
