// main ours URL N: tracks N events and ends. Prints when it began and what it has cost, as JSON.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"strconv"
	"syscall"
	"time"

	persona "persona.dev/go"
)

func main() {
	url := os.Args[2]
	n, err := strconv.Atoi(os.Args[3])
	if err != nil {
		panic(err)
	}
	client := persona.New("pk_bench", persona.Options{URL: url, MaxQueue: n + 1, MaxQueueBytes: 1 << 30})
	properties := map[string]any{"product_id": "sku-1234", "category": "shoes", "price": 40.5, "quantity": 2, "path": "/checkout"}
	at, before := time.Now(), spent()
	for number := 0; number < n; number++ {
		if err := client.Track(fmt.Sprintf("user-%d", number), "order_placed", properties); err != nil {
			panic(err)
		}
	}
	tracked := spent() - before
	if err := client.Close(context.Background()); err != nil {
		panic(err)
	}
	_ = json.NewEncoder(os.Stdout).Encode(map[string]float64{
		"began": float64(at.UnixNano()) / 1e9, "seconds": time.Since(at).Seconds(), "cpu": spent() - before, "tracked": tracked,
	})
}

func spent() float64 {
	var usage syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &usage)
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano()).Seconds()
}
