# What fastpath uses of PCRE2 (pcre2.h, 8-bit code units).
from libc.stddef cimport size_t
from libc.stdint cimport int32_t, uint8_t, uint32_t

cdef extern from *:
    """
    #define PCRE2_CODE_UNIT_WIDTH 8
    #include <pcre2.h>
    """

cdef extern from "pcre2.h" nogil:
    ctypedef struct pcre2_code "pcre2_code_8":
        pass
    ctypedef struct pcre2_match_data "pcre2_match_data_8":
        pass
    ctypedef struct pcre2_match_context "pcre2_match_context_8":
        pass
    ctypedef struct pcre2_compile_context "pcre2_compile_context_8":
        pass
    ctypedef struct pcre2_general_context "pcre2_general_context_8":
        pass

    const uint32_t PCRE2_CASELESS, PCRE2_MULTILINE, PCRE2_DOTALL, PCRE2_EXTENDED, PCRE2_ANCHORED, PCRE2_DOLLAR_ENDONLY
    const uint32_t PCRE2_UNGREEDY, PCRE2_JIT_COMPLETE, PCRE2_CONFIG_VERSION, PCRE2_INFO_CAPTURECOUNT
    const uint32_t PCRE2_NO_AUTO_CAPTURE
    const int PCRE2_ERROR_NOMATCH
    const size_t PCRE2_UNSET

    int pcre2_config "pcre2_config_8"(uint32_t what, void *where)
    pcre2_code *pcre2_compile "pcre2_compile_8"(const uint8_t *pattern, size_t length, uint32_t options, int *error,
                                                size_t *offset, pcre2_compile_context *context)
    int pcre2_pattern_info "pcre2_pattern_info_8"(const pcre2_code *code, uint32_t what, void *where)
    void pcre2_code_free "pcre2_code_free_8"(pcre2_code *code)
    int pcre2_jit_compile "pcre2_jit_compile_8"(pcre2_code *code, uint32_t options)
    int pcre2_get_error_message "pcre2_get_error_message_8"(int error, uint8_t *text, size_t length)
    pcre2_match_data *pcre2_match_data_create "pcre2_match_data_create_8"(uint32_t pairs, pcre2_general_context *context)
    void pcre2_match_data_free "pcre2_match_data_free_8"(pcre2_match_data *data)
    size_t *pcre2_get_ovector_pointer "pcre2_get_ovector_pointer_8"(pcre2_match_data *data)
    pcre2_match_context *pcre2_match_context_create "pcre2_match_context_create_8"(pcre2_general_context *context)
    void pcre2_match_context_free "pcre2_match_context_free_8"(pcre2_match_context *context)
    int pcre2_set_match_limit "pcre2_set_match_limit_8"(pcre2_match_context *context, uint32_t limit)
    int pcre2_set_depth_limit "pcre2_set_depth_limit_8"(pcre2_match_context *context, uint32_t limit)
    int pcre2_set_heap_limit "pcre2_set_heap_limit_8"(pcre2_match_context *context, uint32_t kibibytes)
    int pcre2_match "pcre2_match_8"(const pcre2_code *code, const uint8_t *subject, size_t length, size_t start,
                                    uint32_t options, pcre2_match_data *data, pcre2_match_context *context)
