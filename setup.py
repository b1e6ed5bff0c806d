"Hands the metadata of settings.ini to setuptools; pyproject.toml says which fields come from here."
from configparser import ConfigParser
from pathlib import Path
from setuptools import setup, find_packages

here = Path(__file__).parent
ini = ConfigParser(delimiters=['='], interpolation=None)
ini.read(here/'settings.ini', encoding='utf-8')
cfg = ini['DEFAULT']
scripts = [s.strip() for s in cfg['console_scripts'].splitlines() if s.strip()]

setup(
    name=cfg['lib_name'], version=cfg['version'], description=cfg['description'], license=cfg['license'],
    author=cfg['author'], author_email=cfg['author_email'], keywords=cfg['keywords'].split(),
    long_description=(here/'README.md').read_text(encoding='utf-8'), long_description_content_type='text/markdown',
    python_requires=f">={cfg['min_python']}", install_requires=cfg['requirements'].split(),
    extras_require={k: cfg[f'{k}_requirements'].split() for k in ('dev', 'onnx', 'hub', 'scale', 'formats', 'community')},
    # the lessons travel inside the package (srgan-lessons copies them), and so do the models and the measured figures that the lessons show
    packages=[*find_packages(include=['srgan_course', 'srgan_course.*']), 'srgan_course.lessons', 'srgan_course.results'],
    package_dir={'srgan_course.lessons': 'nbs', 'srgan_course.results': 'results'},
    package_data={'srgan_course': ['models/*.safetensors', 'models/*.onnx', 'models/*.md', 'models/*.json', 'models/*.jpg'],
                  'srgan_course.lessons': ['*.ipynb', 'kit/*.ipynb', '*.bib', '*.csv', 'images/*', *(f'try/*.{end}' for end in 'html css js c wasm'.split())],
                  'srgan_course.results': ['*.json']},
    entry_points={'console_scripts': scripts, 'nbdev': ['srgan_course = srgan_course._modidx:d']},
    classifiers=['Programming Language :: Python :: 3', 'Intended Audience :: Education', 'Intended Audience :: Science/Research',
                 'Topic :: Scientific/Engineering :: Image Processing'],
    zip_safe=False)
