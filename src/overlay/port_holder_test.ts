import assert from "node:assert/strict";
import { socketInodes } from "./port_holder.ts";

Deno.test("socketInodes reads the lines of one port, as the kernel writes them", () => {
  const text =
    `   sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref pointer drops            
 3408: 00000000:4E1F 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 232483 2 00000000f80a72a0 0        
13150: 0100007F:0035 00000000:4E1F 07 00000000:00000000 00:00000000 00000000     0        0 204080 2 00000000e6d845dd 0        
13151: 0100007F:4E1F 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 0 2 00000000e6d845de 0        
`;
  assert.deepEqual(socketInodes(text, 19_999), [232_483, 0]);
  assert.deepEqual(socketInodes(text, 53), [204_080]);
  assert.deepEqual(socketInodes("", 53), []);
});
