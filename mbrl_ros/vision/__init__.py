"""From images to image points, one method a file, found by name as other plug-ins are (config/registry.py).

    picture.py      images as they come: encodings, rows, byte order, depth; what cannot be read, and why
    compressed.py   ... as files of JPEG or PNG
    lens.py         the distortion of a lens, and its inverse
    base.py         what a method is, and what it finds
    finder.py       image -> points in half image widths: a method, and the lens
    aruco.py, ...   one method each, with its `Settings` and `build`

Nothing here needs ROS. OpenCV is imported where it is used (opencv.py): the rest of the package does without.
"""
