export const write = () => {}
