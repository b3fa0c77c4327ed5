"""``themewatch score``: tables of any size in, the same tables with themes out.

Read in this order: ``command`` (options), ``runner`` (the whole run), then what it stands on:
``inputs`` and ``sources`` (reading), ``chunks``, ``duplicates``, ``workers`` (scoring), ``journal`` and
``parts`` (what survives a kill), ``sinks`` (the output), ``summary`` and ``report``.
"""
