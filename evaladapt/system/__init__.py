"""What the machine gives, asked for in one place: installed distributions, files, processes."""
