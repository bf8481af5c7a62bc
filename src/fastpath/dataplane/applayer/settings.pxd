# The settings of the rooms: what each is by default, and the key that sets it.
from fastpath.dataplane.applayer.applayer cimport app_config_t

cdef void default_settings(app_config_t *config) noexcept nogil

# settings: a flat dict of the keys below; a key that is absent leaves its default.
cdef void read_settings(app_config_t *config, settings) except *
