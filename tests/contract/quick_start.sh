#!/bin/bash

BASE_URL="http://localhost:8080"

# 1. Register a new user
echo "1. Registering user..."
REGISTER_RESPONSE=$(curl -s -X POST "$BASE_URL/api/v1/auth/register" \
  -H "Content-Type: application/json" \
  -d '{
    "username": "testuser",
    "email": "test@example.com",
    "password": "SecurePass123!"
  }')
echo "$REGISTER_RESPONSE"

# 2. Login to get access token
echo -e "\n2. Logging in..."
LOGIN_RESPONSE=$(curl -s -X POST "$BASE_URL/api/v1/auth/login" \
  -H "Content-Type: application/json" \
  -d '{
    "username": "testuser",
    "password": "SecurePass123!"
  }')
echo "$LOGIN_RESPONSE"

ACCESS_TOKEN=$(echo "$LOGIN_RESPONSE" | jq -r '.access_token')

# 3. Create a meeting
echo -e "\n3. Creating meeting..."
MEETING_RESPONSE=$(curl -s -X POST "$BASE_URL/api/v1/meetings" \
  -H "Authorization: Bearer $ACCESS_TOKEN" \
  -H "Content-Type: application/json" \
  -d '{
    "title": "Team Standup",
    "description": "Daily standup meeting",
    "start_time": "2025-10-05T14:00:00Z",
    "duration": 30,
    "max_participants": 10
  }')
echo "$MEETING_RESPONSE"

MEETING_ID=$(echo "$MEETING_RESPONSE" | jq -r '.meeting_id')

# 4. Join the meeting
echo -e "\n4. Joining meeting..."
JOIN_RESPONSE=$(curl -s -X POST "$BASE_URL/api/v1/meetings/$MEETING_ID/join" \
  -H "Authorization: Bearer $ACCESS_TOKEN")
echo "$JOIN_RESPONSE"

# 5. Get meeting details
echo -e "\n5. Getting meeting details..."
DETAILS_RESPONSE=$(curl -s -X GET "$BASE_URL/api/v1/meetings/$MEETING_ID" \
  -H "Authorization: Bearer $ACCESS_TOKEN")
echo "$DETAILS_RESPONSE"
