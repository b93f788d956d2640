"""TAO's own behaviour, for runs that are to be compared with runs of TAO.

``compat: tao5`` is TAO Toolkit 5.0 to 5.5, ``compat: tao7`` is TAO 7.3. Both keep TAO's algorithms
and constants, and leave out its faults of direction and of failed trials: a score is always
maximised, whatever the metric, and a trial that failed is no evidence. Hyperband's rungs stay
counted in integers: TAO's rounded logarithm loses a bracket at R = 243 and a rung at 729.
"""
