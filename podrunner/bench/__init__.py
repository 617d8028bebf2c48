"""``podrunner bench``: what a runner costs and how fast it is, measured pod by pod.

What belongs here: the plan (which pods, and how each must end), the servers to measure against, the measuring, the
report and its pictures. The command's options are ``podrunner.cli.bench``. Nothing here is imported by the library, and
nothing changes how a runner works: it is measured from outside, by its public face and by a transport that counts.
"""
