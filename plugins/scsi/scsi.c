/* SPDX-License-Identifier: Apache-2.0 */
/* Sources: INCITS SPC-3 sections 4.5.3 (fixed format sense data), 6.4
 * (INQUIRY) and 7.6 (vital product data). */
#include "scsi/scsi.h"

#include <string.h>

#define VPD_PAGES  0x00
#define VPD_SERIAL 0x80
#define VPD_DEVICE 0x83
#define SERIAL_MAX 20u

void scsi_command_init(struct scsi_command *out)
{
    out->action = SCSI_DONE;
    out->raw = out->durable = 0;
    out->lba = out->blocks = 0;
    out->reply_bytes = out->range_count = 0;
}

void scsi_reply(struct scsi_command *out, uint32_t bytes, uint32_t allocation)
{
    out->action = SCSI_DATA;
    out->reply_bytes = bytes < allocation ? bytes : allocation;
    if (!out->reply_bytes)
        out->action = SCSI_DONE;
}

void scsi_put_sense(uint8_t out[SCSI_SENSE_BYTES], uint8_t key, uint8_t asc,
                    uint8_t ascq)
{
    memset(out, 0, SCSI_SENSE_BYTES);
    out[0] = 0x70; /* current, fixed format */
    out[2] = key;
    out[7] = SCSI_SENSE_BYTES - 8;
    out[12] = asc;
    out[13] = ascq;
}

static uint32_t serial_bytes(const struct scsi_identity *id)
{
    size_t n = strlen(id->serial);

    return n < SERIAL_MAX ? (uint32_t)n : SERIAL_MAX;
}

/* A number that nobody else assigned and that the same disk always has
 * (FNV-1a of the serial number, as a locally assigned name). */
static uint64_t local_name(const struct scsi_identity *id)
{
    uint64_t hash = UINT64_C(14695981039346656037);

    for (const char *c = id->serial; *c; c++)
        hash = (hash ^ (uint8_t)*c) * UINT64_C(1099511628211);
    return (hash & ~(UINT64_C(15) << 60)) | UINT64_C(3) << 60;
}

static uint32_t put_designators(const struct scsi_identity *id, uint8_t *p)
{
    uint32_t serial = serial_bytes(id);

    p[0] = 0x02; /* ASCII */
    p[1] = 0x01; /* vendor and what it chose */
    p[3] = (uint8_t)(8 + serial);
    memcpy(p + 4, id->vendor, 8);
    memcpy(p + 12, id->serial, serial);
    p += 12 + serial;
    p[0] = 0x01; /* binary */
    p[1] = 0x03; /* NAA */
    p[3] = 8;
    scsi_put64(p + 4, local_name(id));
    return 12 + serial + 12;
}

static uint32_t put_page_list(const uint8_t *extra, uint8_t *p)
{
    uint32_t n = 0;

    p[n++] = VPD_PAGES;
    p[n++] = VPD_SERIAL;
    p[n++] = VPD_DEVICE;
    for (; extra && *extra; extra++)
        p[n++] = *extra;
    return n;
}

static uint32_t vital_product_data(const struct scsi_identity *id, uint8_t page,
                                   const uint8_t *extra, uint8_t *out)
{
    uint32_t n;

    switch (page) {
    case VPD_PAGES: n = put_page_list(extra, out + 4); break;
    case VPD_SERIAL:
        n = serial_bytes(id);
        memcpy(out + 4, id->serial, n);
        break;
    case VPD_DEVICE: n = put_designators(id, out + 4); break;
    default: return 0;
    }
    out[0] = id->type;
    out[1] = page;
    scsi_put16(out + 2, n);
    return 4 + n;
}

uint32_t scsi_inquiry(const struct scsi_identity *id, const uint8_t *cdb,
                      const uint8_t *extra, uint8_t *out)
{
    memset(out, 0, 96);
    if (cdb[1] & 1)
        return id->version ? vital_product_data(id, cdb[2], extra, out) : 0;
    if (cdb[2])
        return 0;
    out[0] = id->type;
    out[1] = id->removable ? 0x80 : 0;
    out[2] = id->version;
    out[3] = id->format;
    out[4] = 31;
    if (id->version)
        out[7] = 0x02; /* command queueing */
    memcpy(out + 8, id->vendor, 8);
    memcpy(out + 16, id->product, 16);
    memcpy(out + 32, "1.0 ", 4);
    return 36;
}
