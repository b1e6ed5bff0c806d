"What the lessons stand on: files, formats, weights, devices, checks."
