# What libmagic says of files: file.magic of rules, and the field `magic` of fileinfo.
from fastpath.dataplane.applayer.applayer cimport app_context_t, file_t

# A cookie with its database, for app_work_t.magic. ValueError, with the cure, where libmagic cannot read one.
cdef void *open_magic(files) except NULL
cdef void close_magic(void *cookie) noexcept nogil

# app_work_t.tell_magic
cdef void tell_magic(app_context_t *context, file_t *file) noexcept nogil
