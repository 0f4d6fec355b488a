"""From a snapshot on disk to numbers, tables and a page; never from the crawler's code.

The folder that ``sts-crawl`` seals is the only interface.  Read downwards:

``cli``        the commands ``sts-report list | ask | build | customers | diff | export | sql``
``report``     which figures make the page, and the page itself; its words are in ``story``
``chart``      rows to a Vega-Lite drawing, as SVG and PNG
``tables``     rows to a terminal table, CSV or JSON
``page``       what every page shares: escaping, and a policy that lets nothing in
``customers``  each domain of a mail provider; read by ``customer_list``, pointed out by ``places``,
               written by ``customer_formats`` and ``customer_page``
``release``    the folder that is published and cited
``changes``    two scans side by side; written by ``change_formats``
``population`` what a list is a sample of, for the question ``estimates``
``catalogue``  the questions: one ``.sql`` file each, with its population in its header
``archive``    the only module that knows DuckDB and Parquet: opens scans, defines the views

Beside the code lie ``queries/`` (all counting, all shares), ``reference/`` (who is behind a host
name, and what each word of a result means: judgement as data) and ``templates/``.
"""
