"""The evaluation report: ``build`` measures, ``page`` and ``markdown`` write the same numbers down."""
