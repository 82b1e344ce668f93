// `npm run image [-- OPTIONS]`: builds the kernel and the initramfs of a guest (guest-image/image).
import { runTool } from './run-tool.mjs';

await runTool('guest-image/image');
