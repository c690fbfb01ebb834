// Command hello is the least that a program in Go can do: the floor of every start.
package main

func main() { println("hello") }
