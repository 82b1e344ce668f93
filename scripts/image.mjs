// `npm run image [-- OPTIONS]`: builds the kernel and the initramfs of a guest (tools/image).
import { runTool } from './run-tool.mjs';

await runTool('image');
