// A frame: one byte of grey for each pixel.

export const WIDTH = 320
export const HEIGHT = 240
export const BYTES = WIDTH * HEIGHT
