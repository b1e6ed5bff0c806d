"""How the files in this folder were made, by version 0.1.0 before the kit: `python make.py FOLDER`. Kept so that a reader can see what they hold; it is not run again.

Two tiny models of each network that ships or can be trained, a finished SRGAN run, a classifier with its run, a student, and cats, each after a few steps, each with the checkpoints and recipes that its run keeps.
"""
import os, shutil, sys
from dataclasses import replace
from pathlib import Path
import torch

def models(out):
    from srgan_course.esrgan import RRDBNet
    from srgan_course.generators import LightSR, SRResNet, save_model
    torch.manual_seed(0)
    save_model(LightSR(2, 4, 1), out/'light.safetensors', summary='four channels')
    save_model(SRResNet(4, 4, 1), out/'srresnet.safetensors', torch.float16)
    save_model(RRDBNet(4, 4, 1, 2), out/'rrdb.safetensors')

def srgan_run(out):
    from srgan_course.srgan import get_recipe, train
    r = get_recipe('quick').replace(name='tiny', size=32, pre_size=32, bs=2, steps_per_epoch=2, epochs=1, pre_epochs=1, nf=4, n_blocks=1, critic_nf=4, precision='float32', sample_every=0)
    train(r, out=out, progress=False)

def classifier_run(out):
    from srgan_course.classifier import get_classifier_recipe, split_pets, train_classifier
    r = get_classifier_recipe('quick').replace(size=32, bs=8, epochs=1, body='toynet-random', unfreeze=1)
    train_classifier(r, out=out, split=split_pets('pets-toy', .3, 0, n=16, size=32, classes=r.classes))

def cats_run(out):
    from srgan_course.cats import get_cats_recipe, train_cats
    r = get_cats_recipe('quick').replace(size=32, bs=4, steps_per_epoch=2, epochs=1, nf=4, crit_nf=4, nz=8, toys=16, precision='float32')
    train_cats(r, out=out)

def student_run(out):
    from srgan_course.recognise import get_recognise_recipe, train_recognise
    r = get_recognise_recipe('quick').replace(steps=2, bs=2, nf=4, n_blocks=1)
    train_recognise(r, 'pets-toy', out=out)

if __name__ == '__main__':
    torch.set_num_threads(1)
    out = Path(sys.argv[1]); out.mkdir(parents=True)
    (out/'models').mkdir(); models(out/'models')
    for f in (srgan_run, classifier_run, cats_run, student_run):
        f(out/f.__name__)
        print(f.__name__, flush=True)
    for p in sorted(out.rglob('*')):
        if p.is_file() and p.suffix not in ('.safetensors', '.json', '.csv'): p.unlink()
