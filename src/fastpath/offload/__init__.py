"""What a session table would take off the inspectors, and which alerts it would miss.

One pass writes a log (log.py), hundreds of settings (settings.py) are simulated over it (simulate.pyx), some are confirmed by a
real pass with a device (study.py).
"""
