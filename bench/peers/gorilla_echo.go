// SPDX-License-Identifier: MIT
//
// Usage: gorilla_echo PORT [broadcast]
//
// Echoes, or with 'broadcast' sends each message to everyone, by gorilla/websocket. Prints its port when it can be
// connected to.

package main

import (
	"fmt"
	"log"
	"net"
	"net/http"
	"os"
	"sync"

	"github.com/gorilla/websocket"
)

const (
	queueLength     = 256
	readBufferBytes = 16 << 10 // the default of 4 KiB makes large messages slow
)

var upgrader = websocket.Upgrader{ReadBufferSize: readBufferBytes}

func echo(connection *websocket.Conn) {
	for {
		kind, message, err := connection.ReadMessage()
		if err != nil || connection.WriteMessage(kind, message) != nil {
			return
		}
	}
}

// The queues of all connections.
var (
	lock   sync.RWMutex
	queues = map[chan *websocket.PreparedMessage]bool{}
)

func write(connection *websocket.Conn, queue chan *websocket.PreparedMessage) {
	for message := range queue {
		if connection.WritePreparedMessage(message) != nil {
			connection.Close()
		}
	}
}

func broadcast(connection *websocket.Conn) {
	queue := make(chan *websocket.PreparedMessage, queueLength)
	lock.Lock()
	queues[queue] = true
	lock.Unlock()
	defer func() {
		lock.Lock()
		delete(queues, queue)
		lock.Unlock()
		close(queue)
	}()
	go write(connection, queue)
	for {
		kind, message, err := connection.ReadMessage()
		if err != nil {
			return
		}
		prepared, err := websocket.NewPreparedMessage(kind, message)
		if err != nil {
			return
		}
		lock.RLock()
		for each := range queues {
			each <- prepared
		}
		lock.RUnlock()
	}
}

func main() {
	serve := echo
	if len(os.Args) > 2 && os.Args[2] == "broadcast" {
		serve = broadcast
	}
	listener, err := net.Listen("tcp", "127.0.0.1:"+os.Args[1])
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(os.Args[1])
	log.Fatal(http.Serve(listener, http.HandlerFunc(func(response http.ResponseWriter, request *http.Request) {
		connection, err := upgrader.Upgrade(response, request, nil)
		if err != nil {
			return
		}
		defer connection.Close()
		serve(connection)
	})))
}
