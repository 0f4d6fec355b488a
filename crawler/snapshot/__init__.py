"""Lists in, Parquet out: everything of a scan that is on disk.  The only place for pyarrow, and for
the crawler's DuckDB.

Reading domain lists::

    list_sources   a file, however packed -> lines        list_formats   lines -> entries
    zone_files     master files (RFC 1035)                list_staging   entries -> acceptable names
    lists          all of it: lists -> ``domains``        suffixes       public suffix list

Rows and files::

    schema    row class -> Arrow schema                   rows      rows <-> Arrow
    parts     rows -> one whole Parquet file              files     whole files or none
    duck      the one door to DuckDB                      sharding  name -> shard, order of visits

The folder of a scan::

    store     layout, units, lock, targets                manifest  the seal, and verifying it
    seal      closing a scan, replacing its tables        dictionary  every column, explained
    exchange  several files for new ones, all or none     damage    what the disk has not kept
    purge     taking opted-out names out again

The same in an object store::

    archives  where an archive is                         remote      a folder and the store behind it
    keys      what is called what in the store            remote_plans, remote_seal
    objects   octets under keys, and who was first        address, patience

What a pass asks next::

    work      what a runner needs of a scan               folder, memory  on disk, in memory
    views     parts as tables                             plan, gather    targets, evidence
"""
