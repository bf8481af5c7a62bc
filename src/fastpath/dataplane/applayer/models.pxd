# Models on the wire: files recognised by their first bytes, walked through as they come. The doors that files.pxd goes through
# where models are looked for (files_config_t).
from fastpath.dataplane.applayer.applayer cimport files_config_t

cdef void describe_models(files_config_t *config) noexcept nogil
