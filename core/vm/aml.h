/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writes ACPI machine language (ACPI 2.0, chapter 17) into a byte array.
 *
 * Terms with a package length are bracketed by aml_begin_*() and aml_end();
 * they nest.  Names are given with four characters a segment, as in the
 * encoded form ("_HID", "PCI0").
 */
#ifndef VM_AML_H
#define VM_AML_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

#define AML_DEPTH 16

struct aml {
    GByteArray *out;
    guint start[AML_DEPTH]; /* where the package lengths belong */
    unsigned depth;
};

void aml_init(struct aml *a);
/* The bytes; the caller owns them. */
GByteArray *aml_take(struct aml *a);

void aml_begin_scope(struct aml *a, const char *path); /* "\\_SB_" */
void aml_begin_device(struct aml *a, const char *name);
#define AML_SERIALIZED 8 /* the method creates names */
void aml_begin_method(struct aml *a, const char *name, unsigned args_flags);
void aml_begin_package(struct aml *a, unsigned elements);
void aml_begin_if(struct aml *a);        /* the predicate comes first */
void aml_begin_resources(struct aml *a); /* Buffer of a template ... */
void aml_end_resources(struct aml *a);   /* ... with its end tag */
void aml_end(struct aml *a);

void aml_name(struct aml *a, const char *name); /* Name (name, ...) */
void aml_integer(struct aml *a, uint64_t v);
void aml_eisaid(struct aml *a, const char *id); /* "PNP0A03" */
void aml_string(struct aml *a, const char *text);
void aml_path(struct aml *a, const char *segment); /* a reference */
void aml_raw(struct aml *a, const void *bytes, unsigned n);
void aml_byte(struct aml *a, uint8_t byte);

/* Name (name, integer), Name (name, EISAID), Name (name, "text"). */
void aml_name_integer(struct aml *a, const char *name, uint64_t v);
void aml_name_eisaid(struct aml *a, const char *name, const char *id);

void aml_name_string(struct aml *a, const char *name, const char *text);

/* OperationRegion (name, PCI_Config, offset, bytes), and a Field of n bytes
 * over the region with that path. */
void aml_pci_config(struct aml *a, const char *region, unsigned offset,
                    unsigned bytes);
void aml_field_bytes(struct aml *a, const char *region_path,
                     const char *const *names, unsigned n);

/* Resource descriptors, ACPI 2.0 section 6.4. */
void aml_res_io(struct aml *a, uint16_t first, uint8_t ports);
void aml_res_irq(struct aml *a, unsigned irq); /* edge, ISA */
void aml_res_dma(struct aml *a, unsigned channel);
void aml_res_interrupts(struct aml *a, const uint32_t *irqs, unsigned n);
void aml_res_bus_numbers(struct aml *a, uint16_t first, uint16_t last);
void aml_res_word_io(struct aml *a, uint16_t first, uint16_t last);
void aml_res_dword_memory(struct aml *a, uint32_t first, uint32_t last,
                          bool cacheable);
void aml_res_qword_memory(struct aml *a, uint64_t first, uint64_t last);

#endif
