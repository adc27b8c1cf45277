// Preloaded by ../refused-memory.spec.ts: what two functions of Node-API do where V8 has its sandbox, under other names.

#define NAPI_VERSION 8

#include <node_api.h>

napi_status test_refuse_external_arraybuffer(void) { return napi_no_external_buffers_allowed; }

napi_status test_api_refuse_external_sharedarraybuffer(void) { return napi_no_external_buffers_allowed; }
