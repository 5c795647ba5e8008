"""Settings: how they are declared (section), what there is (sections, configuration, registry) and files of them.

`settings_file` reads files from the blocks of a `parameter_file`, whose text `yaml_tree`, `entries` and `scalars` read
as ROS does; `renamed` holds the names of earlier recordings, `resources` finds the files of this package.
"""
