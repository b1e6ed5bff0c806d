"`python -m srgan_course NAME ...` is `srgan-NAME ...`, for machines where the scripts are not on the path."
import sys
from srgan_course.cli import main

command = main()
if __name__ == '__main__': sys.exit(command())
