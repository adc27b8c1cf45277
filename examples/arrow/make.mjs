// Writes trips.arrow: a million made-up taxi trips in Arrow's IPC file format.

import { writeFileSync } from 'node:fs'

import { tableFromArrays, tableToIPC } from 'apache-arrow'

const TRIPS = 1_000_000
const miles = Float64Array.from({ length: TRIPS }, (_, trip) => (trip % 100) / 4)
const fare = miles.map((distance) => 3 + 2.5 * distance)
const seats = Uint8Array.from({ length: TRIPS }, (_, trip) => 1 + (trip % 4))

writeFileSync('trips.arrow', tableToIPC(tableFromArrays({ miles, fare, seats }), 'file'))
console.log(`trips.arrow: ${TRIPS} rows`)
