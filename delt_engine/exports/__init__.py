"""A finished run in the form in which other tools read a dataset, with a card that says what it is; no Streamlit.

:mod:`.formats` lists the forms, :mod:`.contents` is what is written, and each form has one file. The way in is
:func:`delt_engine.pipeline.export_set.export_run`. Only tensors and FKD's labels need torch.
"""
