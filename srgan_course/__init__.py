"A course on super-resolution GANs and the library its lessons export."
from importlib.metadata import PackageNotFoundError, version
try: __version__ = version('srgan_course')
except PackageNotFoundError: __version__ = '0+unknown'
