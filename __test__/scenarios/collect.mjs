// Imported before a program: collects its garbage when it gets SIGUSR2, and says so.

process.on('SIGUSR2', async () => {
  for (let round = 0; round < 3; round++) {
    globalThis.gc()
    await new Promise((resolve) => setImmediate(resolve))
  }
  console.log('collected')
})
