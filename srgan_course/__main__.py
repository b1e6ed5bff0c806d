"`python -m srgan_course NAME ...` is `srgan-NAME ...`, for machines without the console scripts on the path."
from srgan_course.cli import main
if __name__ == '__main__': main()
