"""What the machine gives, asked for in one place; every other room stands on this one.

============ ============================================================
entry_points installed distributions and what they offer
files        files that are whole or not there, and strangers' files read
locks        folders that one process at a time writes to
strict_json  JSON and TOML with one reading
text         strangers' strings made safe to print
threads      how many threads compute
processes    several processes at one task
generators   seeds of random generators, by key
cores        how many threads a child process gets
children     a process that is given nothing it does not need
seal         what it can no longer ask of the system; filters, calls
wire         messages between processes that do not trust each other
segment      memory that two of them share
files_read   which files a process has read, as it tells itself
============ ============================================================
"""
